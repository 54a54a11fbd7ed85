"""The tables of the search at once. A database of a version without search has no table of this app, so it
goes through this migration, too, and the words of its known collections are stored.
"""

import django.db.models.deletion
from importlib import import_module

from django.db import migrations, models

collection_words = import_module('vbase_console.search.migrations.0002_collection_words')


class Migration(migrations.Migration):

    replaces = [
        ('search', '0001_initial'),
        ('search', '0002_collection_words'),
    ]

    initial = True

    dependencies = [
        ('organizations', '0006_audit_by_object'),
        ('protection', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='CollectionWord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('word', models.CharField(max_length=256)),
                ('collection', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='words', to='protection.knowncollection')),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='organizations.organization')),
            ],
            options={
                'ordering': ['word'],
                'indexes': [models.Index(fields=['organization', 'word'], name='collection_by_prefix', opclasses=['uuid_ops', 'varchar_pattern_ops'])],
                'constraints': [models.UniqueConstraint(fields=('collection', 'word'), name='collection_word_collection_word_unique')],
            },
        ),
        migrations.CreateModel(
            name='SearchWord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('word', models.CharField(max_length=63)),
                ('object_id', models.CharField(max_length=40)),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='organizations.organization')),
            ],
            options={
                'ordering': ['word'],
                'indexes': [models.Index(fields=['organization', 'word'], name='search_by_prefix', opclasses=['uuid_ops', 'varchar_pattern_ops'])],
                'constraints': [models.UniqueConstraint(fields=('object_id', 'word'), name='search_word_unique')],
            },
        ),
        migrations.RunPython(collection_words.index_known_collections, migrations.RunPython.noop),
    ]
